"""An algebra of operators: each is a value that runs, composes, prints, pickles and serialises.

>>> from pipekit import Operator
>>> class Scale(Operator):
...     def __init__(self, factor):
...         self.factor = factor
...     def _apply(self, x):
...         return x * self.factor
>>> pipeline = Scale(2) | Scale(3)
>>> pipeline(7), pipeline[0], pipeline == Scale(2) | Scale(3)
(42, Scale(factor=2), True)
"""

from pipekit.lazy import lazily

__all__, __getattr__, __dir__ = lazily(__name__)
