"""Calls, and/or/not, chained comparisons, conditional expressions and assert become calls of operators.py."""
import ast

from tenon.autograph import syntax

# What looks at the frame that calls it.
_OF_THE_FRAME = ("super", "locals", "globals", "vars", "dir", "eval", "exec", "__import__", "breakpoint")
_CHAINED = {"Lt": "lt", "LtE": "le", "Gt": "gt", "GtE": "ge", "Eq": "eq", "NotEq": "ne", "Is": "is_", "IsNot": "is_not",
            "In": "in_", "NotIn": "not_in"}


def _binds(node):
    return any(isinstance(n, ast.NamedExpr) for n in ast.walk(node))


def _thunk(node):
    return syntax.expression("lambda: value", node, value=node)


def _operator(name, origin, *args):
    call = syntax.expression(f"ag__.{name}()", origin)
    call.args = list(args)
    return call


class _Expressions(ast.NodeTransformer):
    def __init__(self, recursive):
        self._call = "call" if recursive else "shallow_call"
        self._first = []  # the first parameter of the functions around

    def visit_FunctionDef(self, node):
        if syntax.is_left_alone(node):
            return node
        self._first.append((syntax.argument_names(node.args) or [None])[0])
        node.args = self.visit(node.args)
        node.body = [self.visit(s) for s in node.body]
        self._first.pop()
        return node

    def visit_Lambda(self, node):
        return node if syntax.is_generator(node) else self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node):
        return node

    def visit_ClassDef(self, node):
        """Of a class, its methods."""
        node.body = [self.visit(s) if isinstance(s, ast.FunctionDef) else s for s in node.body]
        return node

    def visit_AnnAssign(self, node):
        """A variable that blocks share can not be annotated."""
        if node.value is None:
            return syntax.statements("pass", node)[0]
        return self.visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_For(self, node):
        node = self.generic_visit(node)
        if getattr(node, "options", None) is not None:
            node.options = self.visit(node.options)
        if getattr(node, "ends", None) is not None:
            node.ends = self.visit(node.ends)
        if isinstance(node.iter, ast.Call) and getattr(node.iter.func, "attr", None) == self._call:
            node.iter.func.attr = "iterated_" + self._call
        return node

    def visit_While(self, node):
        node = self.generic_visit(node)
        if getattr(node, "options", None) is not None:
            node.options = self.visit(node.options)
        return node

    def visit_Call(self, node):
        function = node.func
        if isinstance(function, ast.Name) and function.id in _OF_THE_FRAME:
            node = self.generic_visit(node)
            if function.id == "super" and not node.args and self._first and self._first[-1]:
                node.args = [syntax.expression("__class__", node), syntax.expression(self._first[-1], node)]
            return node
        if isinstance(function, ast.Attribute) and getattr(function.value, "id", None) == "ag__":
            return self.generic_visit(node)
        node = self.generic_visit(node)
        call = _operator(self._call, node, node.func, *node.args)
        call.keywords = node.keywords
        return call

    def visit_BoolOp(self, node):
        node = self.generic_visit(node)
        first, *others = node.values
        if any(map(_binds, others)):
            return node
        return _operator("and_" if isinstance(node.op, ast.And) else "or_", node, first, *map(_thunk, others))

    def visit_UnaryOp(self, node):
        node = self.generic_visit(node)
        return _operator("not_", node, node.operand) if isinstance(node.op, ast.Not) else node

    def visit_Compare(self, node):
        node = self.generic_visit(node)
        if len(node.ops) == 1 or any(map(_binds, node.comparators)):
            return node
        pairs = [part for op, right in zip(node.ops, node.comparators)
                 for part in (syntax.place(ast.Constant(_CHAINED[type(op).__name__]), right), _thunk(right))]
        return _operator("chain", node, node.left, *pairs)

    def visit_IfExp(self, node):
        text = ast.unparse(node.test)
        node = self.generic_visit(node)
        if _binds(node.body) or _binds(node.orelse):
            return node
        return _operator("if_exp", node, node.test, _thunk(node.body), _thunk(node.orelse),
                         syntax.place(ast.Constant(text), node))

    def visit_Assert(self, node):
        node = self.generic_visit(node)
        message = node.msg or syntax.place(ast.Constant(None), node)
        if _binds(node.test) or _binds(message):
            return node
        return syntax.statements("ag__.assert_(test, message)", node, test=_thunk(node.test),
                                 message=_thunk(message))[0]

    def visit_Match(self, node):
        """Patterns are no expressions."""
        node.subject = self.visit(node.subject)
        for case in node.cases:
            case.guard = None if case.guard is None else self.visit(case.guard)
            case.body = [self.visit(s) for s in case.body]
        return node


def rewrite(function, recursive):
    """Rewrites a FunctionDef or Lambda in place, with the functions inside of it."""
    _Expressions(recursive).visit(function)
