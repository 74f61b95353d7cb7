// The page's elements, by their ids.

export const at = (id) => document.getElementById(id);
