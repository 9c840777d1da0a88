from podworker.emulator.job_queue import JobQueue
from podworker.emulator.jobs import Job, Policy


def test_low_priority_stands_behind_all_others() -> None:
    low, high, returned = Job(input=1, policy=Policy(low_priority=True)), Job(input=2), Job(input=3)
    queue = JobQueue()
    queue.put(low)
    queue.put(high)
    queue.put_back(returned)
    assert list(queue) == [returned, high, low]
    assert len(queue) == 3
    assert [queue.pop(), queue.pop(), queue.pop()] == [returned, high, low]


def test_any_job_can_be_taken_out() -> None:
    jobs = [Job(input=number, policy=Policy(low_priority=number == 2)) for number in range(3)]
    queue = JobQueue()
    for job in jobs:
        queue.put(job)
    queue.remove(jobs[2])
    queue.remove(jobs[0])
    assert list(queue) == [jobs[1]]
