"""The base of every test case."""

import sys
import unittest


class Case(unittest.TestCase):
    """A test case that, when it fails, shows what the operator under test said."""

    operators = ()
    maxDiff = None

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for operator in self.operators:
                print(f"--- {operator.name}:\n{operator.tail()}", file=sys.stderr)
