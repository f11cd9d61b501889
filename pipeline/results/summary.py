"""Formats the table that a run ends with."""

_NOT_MEASURED = "not measured"


def text(metrics: dict) -> str:
    """Formats metrics.json as a table of the exits and a few lines below."""
    shipped = next(row for row in metrics["routed"] if row["bundle"])
    last = metrics["exits"][-1]
    lines = [
        "exit  multiply-adds   params  float %   QAT %  int8 %   p50 ms"
        "  leave %"
    ]
    lines += [
        _exit(row, share)
        for row, share in zip(
            metrics["exits"], shipped["exit_shares"], strict=True
        )
    ]
    lines.append("")
    if len(metrics["exits"]) > 1:
        lines.append(
            f"policy      {shipped['policy']} {shipped['target']:g}: "
            f"{100 * shipped['accuracy']:.2f} % with "
            f"{shipped['mean_madds'] / 1e6:.3f} M multiply-adds on average, "
            f"{shipped['mean_madds'] / last['madds']:.2f} of the last exit's"
        )
    lines += [
        f"chain       {_chain(metrics.get('chain', {}))}",
        f"unsplit     {_milliseconds(metrics.get('unsplit_latency_ms'))}",
        f"routed      {_milliseconds(metrics.get('routed_latency_ms'))}",
    ]
    return "\n".join(lines)


def _exit(row: dict, share: float) -> str:
    accuracy = row["accuracy"]
    latency = row.get("latency_ms")
    return (
        f"{row['exit']:4}  {row['madds'] / 1e6:11.3f} M"
        f"  {row['params'] / 1e3:5.0f} k"
        f"  {100 * accuracy['float']:7.2f}  {100 * accuracy['qat']:6.2f}"
        f"  {100 * accuracy['int8']:6.2f}"
        f"  {format(latency['p50'], '7.3f') if latency else '      -'}"
        f"  {100 * share:7.1f}"
    )


def _chain(chain: dict) -> str:
    parts = []
    if "mismatches" in chain:
        parts.append(
            f"{chain['mismatches']} logits differ from the unsplit model on "
            f"{chain['samples']} images"
        )
    if "overhead" in chain:
        parts.append(f"at full depth {chain['overhead']:.3f} times its p50")
    return "; ".join(parts) or _NOT_MEASURED


def _milliseconds(latency: dict | None) -> str:
    if not latency:
        return _NOT_MEASURED
    return f"p50 {latency['p50']:.3f} ms, p99 {latency['p99']:.3f} ms"
