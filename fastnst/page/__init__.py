"""A page that stylizes in the browser: its files, its server, its folder for other servers."""
