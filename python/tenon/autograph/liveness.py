"""Which variables of a branch or a loop matter to what runs after it."""
import ast

from tenon.autograph import syntax


def _loads(node):
    """Names that are read in `node`, in the scope around it."""
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Store) else {node.id}
    if isinstance(node, syntax.FUNCTIONS):
        return _free(node).union(*map(_loads, [node.args, *getattr(node, "decorator_list", [])]))
    if isinstance(node, syntax.COMPREHENSIONS):
        own = set(syntax.bound_names([g.target for g in node.generators]))
        inside = set().union(*map(_loads, ast.iter_child_nodes(node)))
        return inside - own | _loads(node.generators[0].iter)
    return set().union(*map(_loads, ast.iter_child_nodes(node)))


def _free(function):
    """Names that a function reads and does not bind."""
    body = [function.body] if isinstance(function, ast.Lambda) else function.body
    outside = {n for s in syntax.own_nodes(body) if isinstance(s, (ast.Nonlocal, ast.Global)) for n in s.names}
    own = set(syntax.bound_names(body)) | set(syntax.argument_names(function.args))
    return set().union(*map(_loads, body)) - own | outside


def _reads(node, closures):
    """Names that are read in `node`, and by the local functions that it names."""
    names, todo = set(), list(_loads(node))
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        todo.append(node.target.id)
    while todo:
        name = todo.pop()
        if name not in names:
            names.add(name)
            todo += closures.get(name, ())
    return names


class Liveness:
    """Goes through a function backwards and gives each If, While and For `outputs` and `inputs`: the names that it binds
    and that are read after it, and those that are read inside of it before they are bound."""

    def __init__(self, function):
        self._always = set()
        self._closures = {}
        self._writes = {}  # what local functions change of this one's variables
        for node in syntax.own_nodes(function.body):
            if isinstance(node, ast.FunctionDef):
                self._closures[node.name] = _free(node)
                self._writes[node.name] = {n for s in syntax.own_nodes(node.body) if isinstance(s, ast.Nonlocal)
                                           for n in s.names}
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self._closures[target.id] = _free(node.value)
        outside = {n for s in syntax.own_nodes(function.body) if isinstance(s, (ast.Nonlocal, ast.Global))
                   for n in s.names}
        self._always |= outside.union(*self._writes.values())
        self._block(function.body, set())

    def _block(self, statements, live):
        for statement in reversed(statements):
            live = self._statement(statement, set(live)) | self._always
        return live

    def _bound(self, nodes):
        """Names that the nodes bind, or local functions that they name."""
        named = set().union(*(_reads(node, self._closures) for node in nodes)) & set(self._writes)
        written = set().union(*(self._writes[name] for name in named))
        names = syntax.bound_names(nodes)
        return names + sorted(written - set(names))

    def _of(self, node):
        return set() if node is None else _reads(node, self._closures)

    def _statement(self, node, live):
        if isinstance(node, ast.If):
            return self._branch(node, live)
        if isinstance(node, syntax.LOOPS):
            return self._loop(node, live)
        if isinstance(node, (ast.With, ast.AsyncWith)):
            inside = self._block(node.body, live)
            return self._simple(node.items, inside)
        if isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            return self._try(node, live)
        if isinstance(node, ast.Match):
            inside = [self._simple([case.pattern], self._of(case.guard) | self._block(case.body, live))
                      for case in node.cases]
            return live.union(*inside) | self._of(node.subject)
        if isinstance(node, ast.Return):
            return self._of(node)
        return self._simple([node], live)

    def _simple(self, nodes, live):
        # Deleting binds for a scope, and reads.
        live = live - set(syntax.bound_names(nodes))
        return live.union(*map(self._of, nodes)) if nodes else live

    def _branch(self, node, live):
        inside = self._block(node.body, live) | self._block(node.orelse, live)
        bound = self._bound(node.body + node.orelse)
        node.outputs = [name for name in bound if name in live]
        node.inputs = [name for name in bound if name in inside and name not in live]
        return inside | self._of(node.test)

    def _loop(self, node, live):
        head = set(live) | self._always
        own = [] if isinstance(node, ast.While) else [node.target]
        tested = self._of(node.test if isinstance(node, ast.While) else node.ends)
        while True:
            inside = self._simple(own, self._block(node.body, head))
            grown = head | tested | inside
            if grown == head:
                break
            head = grown
        node.outputs = [name for name in self._bound(own + node.body) if name in head]
        node.inputs = []
        return head if isinstance(node, ast.While) else head | self._of(node.iter)

    def _try(self, node, live):
        """The handlers may follow on any statement of the body."""
        after = self._block(node.finalbody, live)
        handled = set(after)
        for handler in node.handlers:
            handled |= self._block(handler.body, after) | self._of(handler.type)
        kept, self._always = self._always, self._always | handled
        inside = self._block(node.body, self._block(node.orelse, after) | handled)
        self._always = kept
        return inside
