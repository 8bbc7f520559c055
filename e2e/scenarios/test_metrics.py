"""What a running manager tells its scraper: the exposition is well-formed, and its figures say what
was done. An API server alone, the operator beside it."""

import time
import unittest
import urllib.request

import harness
from harness import Failure, asking, revision_of, wait_for
from harness.exposition import Exposition

SECONDS = 30
OPERATOR = "manager"
KIND = "gobuildenvs.gobuildenv.dev"
MUTATE, VALIDATE = "/mutate-pods", "/validate-gobuildenvs"
CONTROLLER = {"controller": "gobuildenv"}
QUEUE = {"controller": "gobuildenv", "name": "gobuildenv"}


class Metrics(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(
            harness.Cluster("metrics", full=False, flags=["--audit"]))
        cls.operator = cls.enterClassContext(harness.OffCluster(
            cls.cluster, cls.cluster.proxy(), ["--drain-seconds", "1"], user=OPERATOR))
        cls.operators = (cls.operator,)
        cls.api = cls.cluster.api
        cls.cluster.namespace("ci")

    def scrape(self):
        url = f"http://127.0.0.1:{self.operator.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            self.assertEqual(answer.headers["Content-Type"],
                             "text/plain; version=0.0.4; charset=utf-8")
            return Exposition(answer.read().decode())

    def when_quiet(self, seconds=3):
        """A scrape after which the operator has written nothing for so long."""
        def none():
            at, seen = harness.now(), self.scrape()
            time.sleep(seconds)
            return seen if not self.cluster.writes(OPERATOR, at) else None
        return wait_for("the operator to be quiet", 60, none)

    def audited(self, verb, resource=None):
        return [line for line in self.cluster.requests(OPERATOR, resource=resource)
                if line.split()[1] == verb]

    def test_figures_are_of_what_was_done(self):
        wait_for("the operator to lead", 60, self.operator.holds_lease)
        # Two environments, three revisions; three pods that get one, one whose environment is none.
        self.api.apply_environment("ci", "exact")
        self.api.apply_environment("ci", "range", "1.22")
        self.api.ready("ci", "exact")
        self.api.ready("ci", "range")
        self.api.apply_environment("ci", "exact", flags=["-trimpath"])
        self.api.ready("ci", "exact")
        for i in range(3):
            self.assertTrue(revision_of(self.api.admitted("ci", asking(f"p{i}", "exact"))))
        self.assertFalse(revision_of(self.api.admitted("ci", asking("p", "none"))))

        seen = self.when_quiet()
        with self.subTest("controller_runtime_reconcile"):
            done = seen.sum("controller_runtime_reconcile_total", **CONTROLLER)
            self.assertGreaterEqual(
                seen.sum("controller_runtime_reconcile_total", result="success", **CONTROLLER)
                + seen.sum("controller_runtime_reconcile_total", result="requeue_after",
                           **CONTROLLER), 3)
            self.assertEqual(seen("controller_runtime_reconcile_time_seconds_count", **CONTROLLER),
                             done)
            self.assertGreater(seen("controller_runtime_reconcile_time_seconds_sum", **CONTROLLER),
                               0)
            for name in ("reconcile_errors", "terminal_reconcile_errors", "reconcile_panics"):
                self.assertEqual(seen(f"controller_runtime_{name}_total", **CONTROLLER), 0, name)
            self.assertEqual(seen("controller_runtime_active_workers", **CONTROLLER), 0)
            self.assertEqual(seen("controller_runtime_max_concurrent_reconciles", **CONTROLLER), 4)
        with self.subTest("workqueue"):
            self.assertGreaterEqual(seen("workqueue_adds_total", **QUEUE), 3)
            for name in ("queue", "work"):
                self.assertEqual(seen(f"workqueue_{name}_duration_seconds_count", **QUEUE), done)
            for name in ("depth", "unfinished_work_seconds", "longest_running_processor_seconds",
                         "retries_total"):
                self.assertEqual(seen(f"workqueue_{name}", **QUEUE), 0, name)
        with self.subTest("rest_client"):
            host = self.api.host
            created = self.audited("create")
            self.assertEqual(len(self.audited("create", "configmaps")), 3, created)
            self.assertEqual(seen("rest_client_requests_total", code="201", method="POST",
                                  host=host), len(created), created)
            self.assertEqual(seen.sum("rest_client_requests_total", method="POST"), len(created))
            # Status writes, and renewals of the Lease beside them.
            self.assertGreaterEqual(
                seen("rest_client_requests_total", code="200", method="PUT", host=host),
                len(self.audited("update", "gobuildenvs")))
            self.assertGreater(
                seen("rest_client_requests_total", code="200", method="GET", host=host), 0)
        with self.subTest("controller_runtime_webhook"):
            self.assertEqual(seen("controller_runtime_webhook_requests_total", webhook=MUTATE,
                                  code="200"), 4)
            self.assertGreaterEqual(seen("controller_runtime_webhook_requests_total",
                                         webhook=VALIDATE, code="200"), 3)
            for path in (MUTATE, VALIDATE):
                self.assertEqual(
                    seen("controller_runtime_webhook_latency_seconds_count", webhook=path),
                    seen.sum("controller_runtime_webhook_requests_total", webhook=path))
                self.assertEqual(
                    seen("controller_runtime_webhook_requests_in_flight", webhook=path), 0)
        with self.subTest("leader_election"):
            self.assertEqual(seen("leader_election_master_status", name="gobuildenv-manager"), 1)
        with self.subTest("gobuildenv"):
            self.assertEqual(seen("gobuildenv_environments", ready="true"), 2)
            self.assertEqual(seen("gobuildenv_environments", ready="false"), 0)
            self.assertEqual(seen("gobuildenv_environments", ready="unknown"), 0)
            self.assertEqual(seen("gobuildenv_toolchain_resolutions_total", result="Resolved"), 1)
            self.assertEqual(seen.sum("gobuildenv_admissions_total"), 4)
            self.assertEqual(seen("gobuildenv_admissions_total", result="changed"), 3)
            self.assertEqual(seen("gobuildenv_admissions_total", result="missing"), 1)
            self.assertEqual(seen("gobuildenv_events_dropped_total"), 0)
            self.assertEqual(seen("gobuildenv_informer_objects", resource=KIND), 2)
            self.assertEqual(seen("gobuildenv_informer_objects", resource="configmaps"), 3)
            for resource in (KIND, "configmaps", "pods", "namespaces"):
                self.assertGreaterEqual(seen("gobuildenv_informer_lists_total", resource=resource),
                                        1)
                self.assertEqual(seen("gobuildenv_informer_decode_errors_total",
                                      resource=resource), 0)
            self.assertGreaterEqual(seen("gobuildenv_informer_events_total", resource=KIND), 3)

        # No counter ever falls, and no series goes.
        later = self.scrape().counters()
        for key, value in seen.counters().items():
            self.assertGreaterEqual(later.get(key, -1), value, key)

    def test_certificate_files_are_counted(self):
        file = self.operator.folder / "tls.crt"
        good = file.read_text()
        self.assertEqual(self.scrape()("certwatcher_read_certificate_total"), 1)
        self.assertEqual(self.scrape()("certwatcher_read_certificate_errors_total"), 0)
        file.write_text(good[:200])
        try:
            wait_for("an unreadable certificate to be counted", 30, lambda: self.scrape()(
                "certwatcher_read_certificate_errors_total") > 0)
        finally:
            file.write_text(good)
        wait_for("the mended one to be counted", 30, lambda: self.scrape()(
            "certwatcher_read_certificate_total") == 2)


class TheParser(unittest.TestCase):
    """What the above relies on: a malformed exposition is refused."""

    def test_reads_what_is_right(self):
        seen = Exposition('# HELP a_total Of a.\n# TYPE a_total counter\n'
                          'a_total{x="1",y="\\"\\n"} 2\na_total 3\n# TYPE h histogram\nh_bucket{le="0.5"} 1\n'
                          'h_bucket{le="+Inf"} 2\nh_sum 4.5\nh_count 2\n# TYPE g gauge\ng -1e-3\n')
        self.assertEqual(seen("a_total", x="1", y='"\n'), 2)
        self.assertEqual(seen("a_total"), 3)
        self.assertEqual(seen.sum("a_total"), 5)
        self.assertEqual(seen("h_count"), 2)
        self.assertEqual(seen("g"), -0.001)
        self.assertRaises(Failure, seen, "a_total", x="1")

    def test_refuses_what_is_wrong(self):
        histogram = "# TYPE h histogram\n"
        for text in ("# TYPE a counter\na 1",
                     "a 1\n",
                     "a 1\n# TYPE a counter\n",
                     "# TYPE a counter\na 1\na 2\n",
                     '# TYPE a counter\na{x="1",y="2"} 1\na{y="2",x="1"} 1\n',
                     '# TYPE a counter\na{x="1",x="1"} 1\n',
                     "# TYPE a counter\na{x=1} 1\n",
                     '# TYPE a counter\na{x="\\q"} 1\n',
                     "# TYPE a counter\n# TYPE a counter\na 1\n",
                     "# HELP a x\n# HELP a y\n# TYPE a counter\na 1\n",
                     "# TYPE a number\na 1\n",
                     "# TYPE a-b counter\n",
                     "# TYPE a counter\na -1\n",
                     "# TYPE a counter\na NaN\n",
                     "# TYPE a counter\na one\n",
                     "# TYPE a counter\na 1\n# TYPE b counter\nb 1\na{x=\"1\"} 1\n",
                     f'{histogram}h_bucket{{le="1"}} 1\nh_sum 1\nh_count 1\n',
                     f'{histogram}h_bucket{{le="1"}} 2\nh_bucket{{le="+Inf"}} 1\n'
                     'h_sum 1\nh_count 1\n',
                     f'{histogram}h_bucket{{le="2"}} 1\nh_bucket{{le="1"}} 1\n'
                     'h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
                     f'{histogram}h_bucket{{le="+Inf"}} 1\nh_sum 1\nh_count 2\n',
                     f'{histogram}h_bucket{{le="+Inf"}} 1\nh_count 1\n'):
            with self.subTest(text):
                self.assertRaises((Failure, ValueError), Exposition, text)


if __name__ == "__main__":
    unittest.main()
