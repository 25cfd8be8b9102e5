"""WebShop, text mode: shopping among real products for what an instruction asks for.

Yao et al., "WebShop: Towards Scalable Real-World Web Interaction with Grounded Language Agents",
NeurIPS 2022 (arXiv 2207.01206). Written from the published rules; docs/environments.md says what
differs from the authors' code.
"""

from w2stree.environments.webshop.environment import WebShop

__all__ = ["WebShop"]
