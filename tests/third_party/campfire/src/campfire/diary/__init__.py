from ._tracker import Diary as Diary
