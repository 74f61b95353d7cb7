"""A page in the browser that stylizes there: nothing leaves the machine."""
