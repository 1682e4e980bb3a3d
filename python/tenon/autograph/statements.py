"""if, while and for become calls of operators.py with their blocks as functions.

    if test:               def ag__body(): nonlocal y; y = 1
        y = 1              def ag__orelse(): nonlocal y; y = 2
    else:                  def ag__set(ag__v): ...y = ag__v[0]
        y = 2              ag__.if_stmt(test, ag__body, ag__orelse, ag__.State(("y",), (lambda: y,), ag__set, 1))

The functions share the variables of the function around them, so that a branch that Python decides is what it was.
"""
import ast

from tenon.autograph import jumps, liveness, syntax


class _Lowering:
    """Of one function."""

    def __init__(self, function):
        self._function = function
        self._shared = {}  # names that the blocks bind
        declared = [s for s in syntax.own_nodes(function.body) if isinstance(s, (ast.Global, ast.Nonlocal))]
        self._globals = {n for s in declared if isinstance(s, ast.Global) for n in s.names}
        self._nonlocals = {n for s in declared if isinstance(s, ast.Nonlocal) for n in s.names}

    def run(self):
        function = self._function
        parameters = syntax.argument_names(function.args)
        body = self._block(function.body)
        start = body[0]
        before = []
        if self._globals:
            before += syntax.statements(f"global {', '.join(sorted(self._globals))}", start)
        if self._nonlocals:
            before += syntax.statements(f"nonlocal {', '.join(sorted(self._nonlocals))}", start)
        local = [n for n in self._shared if n not in self._globals | self._nonlocals and n not in parameters]
        if local:
            before += syntax.statements(f"if False:\n  {' = '.join(local)} = None", start)
        at = 1 if ast.get_docstring(function, False) is not None else 0
        body[at:at] = before
        function.body = body

    def _block(self, statements):
        out = []
        for statement in statements:
            out += self._statement(statement)
        return out or syntax.statements("pass", statements[0])

    def _statement(self, node):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            return []
        if isinstance(node, ast.FunctionDef):
            if not syntax.is_left_alone(node):
                rewrite(node)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not syntax.is_left_alone(method):
                    rewrite(method)
        elif isinstance(node, ast.If):
            return self._if(node)
        elif isinstance(node, ast.While):
            return self._while(node)
        elif isinstance(node, ast.For):
            return self._for(node)
        elif not isinstance(node, syntax.SCOPES):
            for name in ("body", "orelse", "finalbody"):
                if getattr(node, name, None):
                    setattr(node, name, self._block(getattr(node, name)))
            for part in getattr(node, "handlers", []) + getattr(node, "cases", []):
                part.body = self._block(part.body)
        return [node]

    def _shares(self, names, origin):
        """The declaration of what a block binds."""
        self._shared.update(dict.fromkeys(names))
        out = []
        for word, part in (("global", [n for n in names if n in self._globals]),
                           ("nonlocal", [n for n in names if n not in self._globals])):
            if part:
                out += syntax.statements(f"{word} {', '.join(part)}", origin)
        return out

    def _state(self, node, nodes):
        """The statements that define what State needs, and the expression that makes it."""
        members = syntax.bound_members(nodes, syntax.bound_names(nodes))
        names = list(members) + node.outputs + node.inputs
        if not names:
            return [], syntax.expression("None", node)
        reads = [syntax.load(members[n]) if n in members else ast.Name(n, ast.Load()) for n in names]
        lines = ["def ag__set(ag__v):\n  shares"]
        for i, name in enumerate(names):
            lines.append(f"  if ag__v[{i}] is not ag__.undefined: {name} = ag__v[{i}]\n"
                         f"  elif ag__.defined(lambda: {name}): del {name}")
        shares = self._shares(node.outputs + node.inputs, node)
        setter = syntax.statements("\n".join(lines), node, shares=shares)
        state = syntax.expression(f"ag__.State({tuple(names)!r}, (), ag__set, {len(members) + len(node.outputs)})", node)
        state.args[1].elts = [syntax.expression("lambda: value", node, value=syntax.place(r, node)) for r in reads]
        return setter, state

    def _if(self, node):
        names = syntax.bound_names(node.body + node.orelse)
        setter, state = self._state(node, node.body + node.orelse)
        shares = [self._shares([n for n in names if n in syntax.bound_names(block)], node)
                  for block in (node.body, node.orelse)]
        body = self._block(node.body)
        orelse = self._block(node.orelse) if node.orelse else syntax.statements("pass", node)
        return setter + syntax.statements(
            "def ag__body():\n  shares\n  body\ndef ag__orelse():\n  others\n  orelse\n"
            "ag__.if_stmt(test, ag__body, ag__orelse, state)", node, shares=shares[0], body=body, others=shares[1],
            orelse=orelse, test=node.test, state=state)

    def _options(self, node):
        options = getattr(node, "options", None)
        if options is None:
            return syntax.expression("None", node)
        return syntax.expression("lambda: options", node, options=syntax.place(
            ast.Call(ast.Name("dict", ast.Load()), [], options.keywords), node))

    def _while(self, node):
        setter, state = self._state(node, node.body)
        return setter + syntax.statements(
            "def ag__test():\n  return test\ndef ag__body():\n  shares\n  body\n"
            "ag__.while_stmt(ag__test, ag__body, state, options)", node, test=node.test,
            shares=self._shares(syntax.bound_names(node.body), node), body=self._block(node.body), state=state,
            options=self._options(node))

    def _for(self, node):
        setter, state = self._state(node, [node.target, *node.body])
        shares = self._shares(syntax.bound_names([node.target, *node.body]), node)
        target = syntax.statements("target = ag__item", node)
        target[0].targets = [node.target]
        ends = syntax.expression("None", node)
        if node.ends is not None:
            ends = syntax.expression("lambda: ends", node, ends=node.ends)
        call = syntax.statements(
            "def ag__body(ag__item):\n  shares\n  target\n  body\n"
            "ag__.for_stmt(iterated, ag__body, state, ends, name, options)", node, shares=shares, target=target,
            body=self._block(node.body), iterated=node.iter, state=state, ends=ends,
            name=syntax.place(ast.Constant(node.target.id if isinstance(node.target, ast.Name) else None), node),
            options=self._options(node))
        return setter + call


def prepare(node):
    """Desugars the functions in `node`, innermost last, and finds what their blocks share."""
    if isinstance(node, ast.FunctionDef) and not syntax.is_left_alone(node):
        jumps.rewrite(node)
        liveness.Liveness(node)
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and syntax.is_left_alone(child)):
            prepare(child)


def rewrite(function):
    """Rewrites a FunctionDef that was prepared, in place, with the functions inside of it. A Lambda has no statements."""
    if isinstance(function, ast.FunctionDef):
        _Lowering(function).run()
