"""What `luthier plugin-check` looks at in an installed distribution, one file for each thing."""
