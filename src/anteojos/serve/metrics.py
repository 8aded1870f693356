"""What the service counts, for Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from anteojos.labelling.writing import Row

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "anteojos_requests", "Requests, by path and status.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "anteojos_request_seconds", "Duration of requests.", ["path"], buckets=_BUCKETS, registry=self.registry
        )
        self.images = Counter("anteojos_images", "Images, by result.", ["result"], registry=self.registry)
        self.faces = Counter("anteojos_labels", "Labels, by class.", ["label"], registry=self.registry)
        self.busy = Gauge(
            "anteojos_busy_requests", "Requests that are labelled or wait for it.", registry=self.registry
        )
        self.buffered = Gauge("anteojos_buffered_bytes", "Bytes of requests in memory.", registry=self.registry)
        self.loads = Gauge("anteojos_model_loads", "How often the file was loaded.", ["result"], registry=self.registry)
        self.model = Gauge("anteojos_model_info", "The current model.", ["sha256"], registry=self.registry)

    def count(self, images: Iterable[list[Row]]) -> None:
        """Count the rows of some images."""
        for rows in images:
            result = "unreadable" if rows[0]["error"] else "labelled" if rows[0]["label"] else "no face"
            self.images.labels(result).inc()
            for row in rows:
                if row["label"]:
                    self.faces.labels(row["label"]).inc()
