import type { ServerResponse } from 'node:http';
import { readStatuses } from '../node/status.js';
import type { BootService } from '../pxe/boot/service.js';
import { HttpError } from '../pxe/http/errors.js';
import type { Route } from '../pxe/http/route.js';
import { HTTP_LIMITS, limitsOf } from '../site/limits-config.js';
import type { EventRecord } from '../store/records.js';
import type { EventFeed } from './event-feed.js';

const HEARTBEAT = 15_000; // ms
const MAX_UNREAD = 1024 * 1024; // bytes a slow listener may be behind before it is let go
const MAX_REPLAY = 1000; // events

/**
 * GET /api/v1/events: server-sent events. `event` is a row of the history, `status` the status of a node that something
 * happened to, `progress` how far a running transfer is. Listeners that come back with Last-Event-ID miss nothing.
 */
export function eventStreamRoute(service: BootService, feed: EventFeed): Route {
  const most = limitsOf(HTTP_LIMITS, service.config.http.limits).eventStreams;
  let open = 0;
  return {
    methods: ['GET'],
    path: '/api/v1/events',
    summary:
      'What happens, as server-sent events: `event` (history), `status` (of the node it happened to), `progress` (of a running transfer)',
    produces: 'text/event-stream',
    responses: { 200: 'A stream that stays open', 429: 'More streams than http.limits.eventStreams' },
    async handle({ req, res }) {
      if (open >= most) {
        throw new HttpError('TOO_MANY_REQUESTS', `${most} pages are listening already; close one`);
      }
      open++;
      const stops: (() => void)[] = [() => void open--];
      res.once('close', () => {
        for (const stop of stops) stop();
      });
      res.writeHead(200, {
        'Content-Type': 'text/event-stream',
        'Cache-Control': 'no-store',
        'X-Accel-Buffering': 'no',
        'X-Content-Type-Options': 'nosniff',
      });
      const stream = new EventStream(service, res);
      // What is new waits until what was missed has been sent: ids only grow.
      let held: EventRecord[] | undefined = [];
      stops.push(
        feed.subscribe((events) => {
          if (held === undefined) stream.happened(events);
          else held.push(...events);
        }),
      );
      stops.push(service.progress.subscribe((progress) => stream.send('progress', progress)));
      const heartbeat = setInterval(() => stream.comment(), HEARTBEAT);
      heartbeat.unref();
      stops.push(() => clearInterval(heartbeat));
      stream.comment();
      const last = Number(req.headers['last-event-id']);
      const missed =
        Number.isSafeInteger(last) && last > 0 ? await service.store.events.since(last, MAX_REPLAY) : [];
      stream.happened([...missed, ...held]);
      held = undefined;
    },
  };
}

/** One listener. Statuses are read one batch at a time, so that a busy minute costs no more than the latest state. */
class EventStream {
  readonly #service: BootService;
  readonly #res: ServerResponse;
  readonly #changed = new Set<string>();
  #last = 0;
  #reading = false;

  constructor(service: BootService, res: ServerResponse) {
    this.#service = service;
    this.#res = res;
  }

  comment(): void {
    this.#write(': \n\n');
  }

  send(type: string, value: unknown, id?: number): void {
    this.#write(`event: ${type}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(value)}\n\n`);
  }

  happened(events: readonly EventRecord[]): void {
    for (const event of events) {
      if (event.id <= this.#last) continue;
      this.#last = event.id;
      this.send('event', event, event.id);
      if (event.node !== null) this.#changed.add(event.node);
    }
    void this.#sendStatuses();
  }

  async #sendStatuses(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#changed.size > 0 && !this.#res.destroyed) {
        const names = [...this.#changed];
        this.#changed.clear();
        const { store } = this.#service;
        for (const status of await readStatuses(store, await store.nodes.getMany(names)))
          this.send('status', status);
      }
    } catch (error) {
      this.#service.log.warn({ err: error }, 'a page was cut off: its statuses cannot be read');
      this.#res.destroy();
    } finally {
      this.#reading = false;
    }
  }

  #write(text: string): void {
    if (this.#res.destroyed) return;
    this.#res.write(text);
    if (this.#res.writableLength > MAX_UNREAD) this.#res.destroy();
  }
}
