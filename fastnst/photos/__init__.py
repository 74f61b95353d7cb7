"""Where photographs are: folders and lists, collections, crops."""
