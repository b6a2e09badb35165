import { linkAt, listAt, localPath, textAt } from './body.js';

/** TaskState of a task that goes on (DSP2046, Task). */
const RUNNING = new Set(['New', 'Starting', 'Running', 'Pending', 'Stopping', 'Service', 'Suspended']);

/** Those of one that ended otherwise than it should. */
const FAILED = new Set(['Exception', 'Killed', 'Cancelled', 'Cancelling', 'Interrupted']);

/** The path to ask about the task that `body` is. */
export function taskOf(body: unknown): string | undefined {
  return localPath(textAt(body, 'TaskMonitor')) ?? (isTask(body) ? linkAt(body) : undefined);
}

/** Whether `body` is a task that goes on. */
export function taskIsRunning(body: unknown): boolean {
  return isTask(body) && RUNNING.has(textAt(body, 'TaskState') ?? '');
}

/** Why the task that `body` is has failed; undefined when it has not. */
export function taskFailure(body: unknown): string | undefined {
  const state = textAt(body, 'TaskState') ?? '';
  const isBad = ['Critical', 'Warning'].includes(textAt(body, 'TaskStatus') ?? '') && state !== 'Completed';
  if (!isTask(body) || !(FAILED.has(state) || isBad)) return undefined;
  const messages = listAt(body, 'Messages').flatMap((each) => textAt(each, 'Message') ?? []);
  const said = messages
    .join(' ')
    .replace(/[\x00-\x1f\x7f]+/g, ' ')
    .slice(0, 300);
  return `its task ended as ${state}${said === '' ? '' : ` (${said})`}`;
}

function isTask(body: unknown): boolean {
  return textAt(body, 'TaskState') !== undefined;
}
