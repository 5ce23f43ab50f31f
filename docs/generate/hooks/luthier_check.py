from luthier.api import hookimpl


@hookimpl
def luthier_check(config):
    if config.batch.length > 4096 and config.trainer.accelerator == "cpu":
        yield "Blocks of more than 4,096 tokens take minutes each on a processor; set batch.length=1024."
