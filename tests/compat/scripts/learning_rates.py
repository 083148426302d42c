import torch
from diffusers.optimization import SchedulerType, get_constant_schedule, get_cosine_schedule_with_warmup, get_scheduler


def rates(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    schedule, seen = make(optimizer), []
    for _ in range(10):
        optimizer.step()
        schedule.step()
        seen.append(schedule.get_last_lr()[0])
    return seen


named = {
    name: rates(lambda o, n=name: get_scheduler(n, optimizer=o, num_warmup_steps=3, num_training_steps=9))
    for name in ("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup")
}
restarts = rates(
    lambda o: get_scheduler(
        SchedulerType.COSINE_WITH_RESTARTS, o, num_warmup_steps=2, num_training_steps=10, num_cycles=2
    )
)
power = rates(lambda o: get_scheduler("polynomial", o, num_warmup_steps=0, num_training_steps=8, power=2.0))
steps = rates(lambda o: get_scheduler("piecewise_constant", o, step_rules="1:2,0.1:5,0.01"))
half = rates(lambda o: get_cosine_schedule_with_warmup(o, 2, 10, num_cycles=1.0))
flat = rates(get_constant_schedule)
