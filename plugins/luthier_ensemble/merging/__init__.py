"""The merging methods: how tensors of the same name become one."""
