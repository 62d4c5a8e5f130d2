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
export {
  type BindMount,
  type CacheMount,
  type MountSpec,
  parseMount,
  type SecretMount,
  type SshMount,
  type TmpfsMount,
} from './mount.ts';
export { type ParseOptions, parseDockerfile, parseInstruction } from './parse-dockerfile.ts';
export { type PortSpec, parsePorts } from './ports.ts';
export type { Lookup } from './shell-word.ts';
export { checkSignal } from './signal.ts';
export { suggest } from './suggest.ts';
