"""A function called by several replicas, which meet where they merge values.

Each replica is a thread, of which one runs at a time: replica 0 until it merges or ends, then replica 1, and so on. So what
they compute is in one order whatever the machine does, and a function that is being traced becomes one graph that holds
all replicas.
"""
import threading

from tenon import _tenon, naming
from tenon.replicas import Place
from tenon.tf.distribute.values import regroup, select


class _Released(BaseException):
    """Ends a replica that waits for others that will not come."""


class _Replica:
    def __init__(self, strategy, index, count, function, args, kwargs):
        self.waits_for = None  # what it wants merged: function, args, kwargs
        self.answer = self.result = self.error = None
        self.ended = self._released = False
        self._call = (function, select(args, index), select(kwargs, index))
        self._place = Place(strategy, count, strategy._context_of(index, self), index)
        self._trace, self._scope = _tenon.current_trace(), naming.current_scope()
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._main, name=f"replica_{index}", daemon=True)

    def resume(self):
        """Runs it until it merges or ends."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._paused.acquire()

    def merge(self, function, args, kwargs):
        """In the replica's thread: waits for the answer."""
        if _tenon.current_trace() is not self._trace:
            raise RuntimeError(
                "A replica merges values (merge_call(), all_reduce(), apply_gradients(), an update of a variable with an "
                "aggregation) within a branch, a loop or a traced function of its own, where the others can not meet it. Trace "
                "what calls strategy.run() as a whole, and move the branch out of the function that it is given.")
        self.waits_for = (function, args, kwargs)
        self._paused.release()
        self._go.acquire()
        if self._released:
            raise _Released
        self.waits_for = None
        return self.answer

    def release(self):
        if self._thread.ident is not None and not self.ended:
            self._released = True
            self._go.release()
            self._thread.join()

    def _main(self):
        function, args, kwargs = self._call
        try:
            with self._place, naming.name_scope(self._scope):
                if self._trace is None:
                    self.result = function(*args, **kwargs)
                else:
                    with self._trace:
                        self.result = function(*args, **kwargs)
        except _Released:
            pass
        except BaseException as error:  # noqa: BLE001: raised by who waits for it
            self.error = error
        finally:
            self.ended = True
            self._paused.release()


def in_all_replicas(strategy, count, function, args, kwargs):
    """What `count` replicas return, by replica."""
    replicas = [_Replica(strategy, i, count, function, args, kwargs) for i in range(count)]
    try:
        while True:
            for replica in replicas:
                replica.resume()
                if replica.error is not None:
                    raise replica.error
            ended = [replica.ended for replica in replicas]
            if all(ended):
                return regroup([replica.result for replica in replicas])
            if any(ended):
                raise RuntimeError("Some replicas have returned while others wait in merge_call(), all_reduce() or an update "
                                   "of a variable: all replicas have to make the same such calls.")
            _merge(strategy, count, replicas)
    finally:
        for replica in replicas:
            replica.release()


def _merge(strategy, count, replicas):
    functions, args, kwargs = zip(*(replica.waits_for for replica in replicas))
    with Place(strategy, count):
        answer = functions[0](strategy, *regroup(list(args)), **regroup(list(kwargs)))
    for i, replica in enumerate(replicas):
        replica.answer = select(answer, i)
