from luthier.api import hookimpl


@hookimpl
def luthier_trusts():
    return ["my_scores.Politeness"]  # recipes may name it, although no option file of ours does
