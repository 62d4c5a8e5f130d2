/** In the environment of a Cairn that another one started in a user namespace. */
export const enteredMark = 'CAIRN_NAMESPACE_ENTERED';

/** What the outer process sends to the inner one. */
export interface SignalMessage {
  readonly signal: NodeJS.Signals;
}

/**
 * Takes the mark out of the environment. In a process that was started so, signals then come from the outer process, and the end of that one
 * ends this one, and with it everything in the namespace, whose first process it is.
 * @returns whether this process was started in a user namespace by another Cairn
 */
export function joinOuterProcess(): boolean {
  const isInner = process.env[enteredMark] !== undefined;
  delete process.env[enteredMark];
  if (!isInner || process.channel === undefined) return isInner;
  process.on('message', ({ signal }: SignalMessage) => void process.emit(signal, signal));
  process.on('disconnect', () => process.exit(1));
  process.channel.unref();
  return true;
}
