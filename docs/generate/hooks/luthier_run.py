from luthier.api import hookimpl


@hookimpl(wrapper=True)
def luthier_run(run):
    try:
        score = yield
    except BaseException as error:
        print(f"{run.name} failed: {error}")
        raise
    print(f"{run.name} scored {score}")
    return score
