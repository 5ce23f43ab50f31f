"""What `luthier new-plugin` writes: a package with a part of each kind, from the templates beside this file."""
