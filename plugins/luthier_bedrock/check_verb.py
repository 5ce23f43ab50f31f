"""later"""
def declare(parser): pass
def act(call): return 0
