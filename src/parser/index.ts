export { type CheckOptions, parseCheckOptions } from './check-options.ts';
export type { Diagnostic } from './diagnostic.ts';
export {
  type ExpandOptions,
  type Expansion,
  expandHeredoc,
  expandWord,
  expandWords,
  type WordsExpansion,
} from './expand.ts';
export type {
  AddInstruction,
  ArgDeclaration,
  ArgInstruction,
  CmdInstruction,
  Command,
  CopyBase,
  CopyInstruction,
  Device,
  Directives,
  Dockerfile,
  EntrypointInstruction,
  EnvInstruction,
  EscapeCharacter,
  ExecForm,
  ExposeInstruction,
  FromInstruction,
  HealthcheckInstruction,
  Heredoc,
  Instruction,
  InstructionBase,
  LabelInstruction,
  MaintainerInstruction,
  OnbuildInstruction,
  Pair,
  RunInstruction,
  ShellForm,
  ShellInstruction,
  Stage,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  Word,
  WorkdirInstruction,
} from './instruction.ts';
export { failOnFindings, type LintOptions, type LintResult, lint } from './lint.ts';
export type { RuleName } from './lint-rules.ts';
export {
  type BindMount,
  type CacheMount,
  type MountSpec,
  mountFrom,
  parseMount,
  type SecretMount,
  type SshMount,
  type TmpfsMount,
} from './mount.ts';
export {
  listTargets,
  type Outline,
  type OutlineArg,
  type OutlineMount,
  outlineTarget,
  type Target,
} from './outline.ts';
export { type ParseOptions, parseDockerfile, parseInstruction } from './parse-dockerfile.ts';
export { type PortSpec, parsePorts } from './ports.ts';
export { printDockerfile } from './print.ts';
export { isSecretName } from './secret-name.ts';
export type { Lookup } from './shell-word.ts';
export { checkSignal } from './signal.ts';
export type { BaseFacts, WalkOptions } from './stage-walk.ts';
export { suggest } from './suggest.ts';
