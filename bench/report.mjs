/** A table: median and range of each tool in seconds, and Cairn's ratio to the fastest other one. */
export function report(samples) {
  const good = samples.filter(({ status }) => status === 0);
  const tools = [...new Set(good.map(({ tool }) => tool))];
  const lines = [
    `| workload | ${tools.join(' | ')} | ratio |`,
    `|---|${tools.map(() => '---|').join('')}---|`,
  ];
  for (const workload of new Set(good.map((sample) => sample.workload))) {
    const times = (tool) =>
      good
        .filter((s) => s.workload === workload && s.tool === tool)
        .map(({ ms }) => ms / 1000)
        .sort((a, b) => a - b);
    const median = (list) => list[Math.floor(list.length / 2)];
    const cells = tools.map((tool) => {
      const list = times(tool);
      return list.length === 0
        ? '-'
        : `${median(list).toFixed(3)} [${list[0].toFixed(3)}-${list.at(-1).toFixed(3)}] n${list.length}`;
    });
    const others = tools
      .filter((tool) => tool !== 'cairn' && times(tool).length > 0)
      .map((tool) => median(times(tool)));
    const own = median(times('cairn'));
    const ratio = own === undefined || others.length === 0 ? '-' : (own / Math.min(...others)).toFixed(2);
    lines.push(`| ${workload} | ${cells.join(' | ')} | ${ratio} |`);
  }
  return `${lines.join('\n')}\n`;
}
