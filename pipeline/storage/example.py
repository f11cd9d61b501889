"""Reads tf.train.Example without TensorFlow.

The message is declared here, in a pool of its own, so that it lives beside
TensorFlow's in one process.
"""

from collections.abc import Iterator, Mapping

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
)

# A message takes up to thirty times the memory of the bytes that it is read
# from, when these are small parts. Those of a small one are not counted.
_SMALL_BYTES = 1 << 20
_MAX_PARTS = 1 << 18

# The fields that hold messages: of an Example, of its Features, of an entry of
# these, and of a Feature. Below are lists.
_MESSAGES = ((1,), (1,), (2,), (1, 2, 3))
_INT64_LIST = 3


def features(data: bytes) -> Mapping:
    """Returns the features of a serialised tf.train.Example by name.

    Each has a `bytes_list`, a `float_list` and an `int64_list`, of which one
    has values: `features(data)["image/label"].int64_list.value[0]`.

    Raises:
        ValueError: The bytes are no Example, or one that would take far more
            memory than they do.
    """
    if len(data) > _SMALL_BYTES:
        _check_parts(data)
    try:
        return Example.FromString(data).features.feature
    except message.DecodeError as error:
        raise ValueError("not a tf.train.Example") from error


def _check_parts(data: bytes) -> None:
    """Raises ValueError for an Example of too many parts, or for none."""
    total = 0
    try:
        for parts in _parts(data, 0, len(data)):
            total += parts
            if total > _MAX_PARTS:
                raise ValueError(
                    f"a tf.train.Example of more than {_MAX_PARTS} values"
                )
    except IndexError as error:
        raise ValueError("not a tf.train.Example") from error


def _parts(
    data: bytes, start: int, stop: int, level: int = 0, kind: int = 0
) -> Iterator[int]:
    """Yields how many parts each field of a message has.

    Args:
        data: The whole Example.
        start: Offset at which the message begins in it.
        stop: Offset at which the message ends.
        level: Level of the message, 0 for the Example itself.
        kind: Field of the message above it.
    """
    for field, first, last in _fields(data, start, stop):
        yield 1
        if level == len(_MESSAGES):
            if kind == _INT64_LIST:  # Packed: 8 bytes of memory for each byte.
                yield (last - first) // 8
        elif field in _MESSAGES[level]:
            yield from _parts(data, first, last, level + 1, field)


def _fields(
    data: bytes, start: int, stop: int
) -> Iterator[tuple[int, int, int]]:
    """Yields the number, first byte and end of each field of a message.

    Raises:
        IndexError: It is none.
    """
    while start < stop:
        tag, start = _varint(data, start)
        wire, size = tag & 7, 0
        if wire == 0:
            _, start = _varint(data, start)
        elif wire == 2:
            size, start = _varint(data, start)
        elif wire in (1, 5):
            start += 8 if wire == 1 else 4
        else:
            raise IndexError("a group, which no Example has")
        if start + size > stop:
            raise IndexError("a field that ends behind its message")
        yield tag >> 3, start, start + size
        start += size


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """Returns a number of 7 bits a byte, and the offset at which it ends."""
    value = shift = 0
    while data[start] > 0x7F:
        value |= (data[start] & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if shift > 63:
            raise IndexError("a number of more than 64 bits")
    return value | data[start] << shift, start + 1


def _declare() -> type:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="example.proto", package="tensorflow", syntax="proto3"
    )

    def add(name: str, *fields: tuple) -> None:
        declared = file.message_type.add(name=name)
        for number, (title, label, kind) in enumerate(fields, 1):
            of = (
                {"type": field.TYPE_MESSAGE, "type_name": f".tensorflow.{kind}"}
                if isinstance(kind, str)
                else {"type": kind}
            )
            declared.field.add(name=title, number=number, label=label, **of)

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    add("BytesList", ("value", many, field.TYPE_BYTES))
    add("FloatList", ("value", many, field.TYPE_FLOAT))
    add("Int64List", ("value", many, field.TYPE_INT64))
    add(
        "Feature",
        ("bytes_list", one, "BytesList"),
        ("float_list", one, "FloatList"),
        ("int64_list", one, "Int64List"),
    )
    add("Features", ("feature", many, "Features.FeatureEntry"))
    entry = file.message_type[-1].nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=one, type=field.TYPE_STRING)
    entry.field.add(
        name="value",
        number=2,
        label=one,
        type=field.TYPE_MESSAGE,
        type_name=".tensorflow.Feature",
    )
    add("Example", ("features", one, "Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("tensorflow.Example")
    )


Example = _declare()
