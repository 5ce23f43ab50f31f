from luthier.testing.schedule import ScheduleContract


class TestInverseRoot(ScheduleContract):
    answer = "optimizer/schedule=inverse_root"
    plugins = ("kind_examples",)
