"""The combination methods: next-token distributions of several networks become one."""
