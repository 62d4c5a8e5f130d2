import { isBroken, isSame, type Outcome } from './outcome.ts';

/** The table of a whole run, in Markdown. */
export function describeOutcomes(
  outcomes: readonly Outcome[],
  { environments, clock }: { readonly environments: readonly string[]; readonly clock: string },
): string {
  const groups = [
    ['without RUN', outcomes.filter((outcome) => !outcome.case.hasRun)],
    [`with RUN, --clock ${clock}`, outcomes.filter(({ case: each }) => each.hasRun && !each.isControl)],
    ['controls, written to differ', outcomes.filter((outcome) => outcome.case.isControl)],
  ] as const;
  const rows = groups
    .filter(([, group]) => group.length > 0)
    .map(([name, group]) => {
      const built = group.filter((outcome) => !isBroken(outcome));
      const same = built.filter(isSame).length;
      const rate = built.length === 0 ? 0 : (100 * same) / built.length;
      return `| ${name} | ${built.length} | ${same} | ${rate.toFixed(1)} % |`;
    });
  const table = ['| Dockerfiles | built | bit for bit equal | rate |', '| --- | --- | --- | --- |', ...rows];
  return [`Environments: ${environments.join(', ')}`, '', ...table, '', ...failures(outcomes)].join('\n');
}

function failures(outcomes: readonly Outcome[]): string[] {
  const broken = outcomes.filter(isBroken);
  const different = outcomes.filter((outcome) => !isBroken(outcome) && !isSame(outcome));
  const surprising = outcomes.filter((outcome) => isSame(outcome) && outcome.case.cause !== undefined);
  return [
    ...(different.length === 0 ? [] : ['| differs | cause | fix | files |', '| --- | --- | --- | --- |']),
    ...different.map(
      ({ case: { name, cause, fix, isControl }, files }) =>
        `| ${name}${isControl ? ' (control)' : ''} | ${cause ?? '**unexplained**'} | ${fix ?? ''} | ${shown(files)} |`,
    ),
    ...(surprising.length === 0
      ? []
      : [
          '',
          `Equal, although their authors have done nothing for it: ${surprising.map((outcome) => outcome.case.name).join(', ')}`,
        ]),
    ...broken.map(
      ({ case: { name }, results }) =>
        `could not be built: ${name} (${[...results].flatMap(([where, result]) => ('error' in result ? [`${where}: ${result.error}`] : [])).join('; ')})`,
    ),
    '',
  ];
}

function shown(files: readonly string[]): string {
  const most = 4;
  return `${files.slice(0, most).join(', ')}${files.length > most ? ` and ${files.length - most} more` : ''}`;
}
