import {
  type BuildModel,
  type ContextNode,
  filePaths,
  type Line,
  type ModelOptions,
  randomFile,
  randomLine,
  randomPath,
  rootOf,
  type StageModel,
} from './build-model.ts';
import type { Random } from './random.ts';

type Mutation = (model: BuildModel, random: Random, options: ModelOptions) => BuildModel;

const withFile = (model: BuildModel, path: string, node: ContextNode | null): BuildModel => {
  const { [path]: _, ...others } = model.files;
  const files = Object.fromEntries(
    Object.entries(others).filter(
      ([, other]) => node?.kind === 'file' || other.kind !== 'hard' || other.of !== path,
    ),
  );
  return { ...model, files: node === null ? files : { ...files, [path]: node } };
};

const pickFile = ({ files }: BuildModel, random: Random): string =>
  random.pick([...filePaths(files), 'd0/new']);

const changeFile: Mutation = (model, random) => withFile(model, pickFile(model, random), randomFile(random));

const changeAttribute: Mutation = (model, random) => {
  const path = pickFile(model, random);
  const node = model.files[path];
  if (node?.kind !== 'file') return model;
  const { mode } = randomFile(random) as { readonly mode: number };
  return withFile(
    model,
    path,
    random.chance(50) ? { ...node, mode } : { ...node, mtime: 500 + random.below(9) },
  );
};

const replaceNode: Mutation = (model, random) => {
  const path = randomPath(random);
  const target = random.pick(['f0', '../d1/f1', 'e', '/etc', 'nowhere']);
  const node = random.pick([randomFile(random), { kind: 'link', target } as const, null]);
  return withFile(model, path, node);
};

const changeFolder: Mutation = (model, random) =>
  withFile(model, random.pick(['d0', 'd1', 'd0/e']), {
    kind: 'dir',
    mode: random.pick([0o755, 0o775, 0o711, 0o700]),
  });

const linkHard: Mutation = (model, random) => {
  const of = random.pick(filePaths(model.files).length > 0 ? filePaths(model.files) : ['t.tar']);
  return withFile(model, random.pick(['d0/h0', 'd1/h0', 'd1/h1']), { kind: 'hard', of });
};

const changeTar: Mutation = (model, random) =>
  withFile(model, 't.tar', { kind: 'tar', members: random.many(3, () => random.pick(['a', 'b', 'c'])) });

const changeIgnore: Mutation = (model, random) => ({
  ...model,
  ignore: random.chance(50) ? [] : [random.pick(['f1', 'd0/f*', '**/l0', 'd1', 'd0/e/f*'])],
});

const changeOption: Mutation = (model, random) => {
  switch (random.below(3)) {
    case 0:
      return { ...model, contextModes: model.contextModes === 'normal' ? 'exact' : 'normal' };
    case 1:
      return { ...model, timestamp: random.pick([null, 5, 'preserve'] as const) };
    default:
      return {
        ...model,
        buildArgs: random.chance(30) ? {} : { [random.pick(['V', 'W'])]: random.pick(['', 'p', 'r']) },
      };
  }
};

const changeLines: Mutation = (model, random, options) => {
  const index = random.below(model.stages.length);
  const stages = model.stages.map((stage, i) =>
    i === index ? editStage(model, stage, i, random, options) : stage,
  );
  return { ...model, stages };
};

function editStage(
  model: BuildModel,
  stage: StageModel,
  index: number,
  random: Random,
  options: ModelOptions,
): StageModel {
  const earlier = model.stages.slice(0, index).map(({ name }) => name);
  const canRun = options.base !== undefined && rootOf(model.stages, stage.base) === options.base;
  const fresh = (): Line => randomLine(random, earlier, canRun ? options : {});
  const at = random.below(stage.lines.length);
  const lines = [...stage.lines];
  switch (random.below(4)) {
    case 0:
      lines.splice(at, 0, fresh());
      break;
    case 1:
      if (lines.length > 1) lines.splice(at, 1);
      break;
    case 2:
      lines[at] = fresh();
      break;
    default: {
      const to = random.below(lines.length);
      const [line] = lines.splice(at, 1);
      if (line) lines.splice(to, 0, line);
    }
  }
  return { ...stage, lines };
}

const mutations: readonly Mutation[] = [
  changeFile,
  changeFile,
  changeFile,
  changeAttribute,
  changeAttribute,
  replaceNode,
  changeFolder,
  linkHard,
  changeTar,
  changeIgnore,
  changeOption,
  changeLines,
  changeLines,
  changeLines,
];

/** The same build with one thing, seldom several, changed; perhaps without any effect. */
export function mutate(model: BuildModel, random: Random, options: ModelOptions = {}): BuildModel {
  let next = model;
  do next = random.pick(mutations)(next, random, options);
  while (random.chance(20));
  return next;
}
