"""tf.train.Example, read without TensorFlow.

The message is declared here, in a pool of its own, so that it lives beside
TensorFlow's in one process.
"""

from collections.abc import Mapping

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
)


def features(data: bytes) -> Mapping:
    """Returns the features of a serialised tf.train.Example by name.

    Each has a `bytes_list`, a `float_list` and an `int64_list`, of which one
    has values: `features(data)["image/label"].int64_list.value[0]`.

    Raises:
        ValueError: The bytes are no Example.
    """
    try:
        return Example.FromString(data).features.feature
    except message.DecodeError as error:
        raise ValueError("not a tf.train.Example") from error


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
