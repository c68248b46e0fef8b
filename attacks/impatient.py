"""The worker with short spans of time, so that an attack need not last as long as its bound."""

from countonme.worker import PatientWorker


class ImpatientWorker(PatientWorker):
    ARRIVAL_SECONDS = 3.0
    ANSWER_SECONDS = 5.0
