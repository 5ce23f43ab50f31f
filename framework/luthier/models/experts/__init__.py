"""Mixtures of experts: layers and routers, fused tensors, how tokens are spread, and the loss that balances it."""
