"""The registry of data sets, apart from the loaders so that each of them can import it."""

from collections.abc import Callable

from robustmeta.data.classes import ImageClasses
from robustmeta.registry import Registry

SPLITS = ("train", "val", "test")

Loader = Callable[..., ImageClasses]


class DataSets(Registry[Loader]):
    """Loaders by name, and what is known of a data set before it is loaded."""

    def __init__(self) -> None:
        super().__init__("data set")
        self._collections: dict[str, str] = {}
        self._fixed: set[str] = set()

    def register(self, name: str, collection: str = "", fixed: bool = False) -> Callable[[Loader], Loader]:
        """A decorator that files a loader under `name`; raises `RobustMetaError` if the name is taken.

        collection: what its classes are taken from, where other data sets, or other settings of this one, take them
        too; the loader then says in `ImageClasses.known_as` which they are. fixed: whether name and settings alone say
        what the pixels are, because they are drawn or checked, and not what lies in a folder.
        """
        file = super().register(name)

        def note(loader: Loader) -> Loader:
            file(loader)
            self._collections[name] = collection
            self._fixed |= {name} if fixed else set()
            return loader

        return note

    def collection_of(self, name: str) -> str:
        """What the classes of a data set are taken from; empty where none was named."""
        return self._collections.get(name, "")

    def is_fixed(self, name: str) -> bool:
        """Whether the name and settings of a data set alone say what its pixels are."""
        return name in self._fixed


#: Loaders by name; each is `loader(split: str, root: Path, **options) -> ImageClasses`.
DATASETS = DataSets()
