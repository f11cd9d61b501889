"""The table that a run ends with."""


def text(metrics: dict) -> str:
    """Formats metrics.json as a table of the exits and a few lines below."""
    shipped = next(row for row in metrics["routed"] if row["bundle"])
    lines = [
        "exit  multiply-adds   params  float %   QAT %  int8 %   p50 ms"
        "  leave %"
    ]
    for row, share in zip(
        metrics["exits"], shipped["exit_shares"], strict=True
    ):
        accuracy = row["accuracy"]
        lines.append(
            f"{row['exit']:4}  {row['madds'] / 1e6:11.3f} M"
            f"  {row['params'] / 1e3:5.0f} k"
            f"  {100 * accuracy['float']:7.2f}  {100 * accuracy['qat']:6.2f}"
            f"  {100 * accuracy['int8']:6.2f}"
            f"  {row['latency_ms']['p50']:7.3f}  {100 * share:7.1f}"
        )
    last = metrics["exits"][-1]
    chain = metrics["chain"]
    lines += [
        "",
        f"policy      {shipped['policy']} {shipped['target']:g}: "
        f"{100 * shipped['accuracy']:.2f} % with "
        f"{shipped['mean_madds'] / 1e6:.3f} M multiply-adds on average, "
        f"{shipped['mean_madds'] / last['madds']:.2f} of the last exit's",
        f"chain       {chain['mismatches']} logits differ from the unsplit "
        f"model on {chain['samples']} images; at full depth "
        f"{chain['overhead']:.3f} times its p50 of "
        f"{metrics['unsplit_latency_ms']['p50']:.3f} ms",
        f"routed      p50 {metrics['routed_latency_ms']['p50']:.3f} ms, "
        f"p99 {metrics['routed_latency_ms']['p99']:.3f} ms",
    ]
    return "\n".join(lines)
