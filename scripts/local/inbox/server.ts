import { getRequestListener } from "@hono/node-server";
import type { GetEmailResponseSuccess } from "resend";
import { originOf } from "../listen.ts";
import { Faults } from "../service/faults.ts";
import { IdempotencyKeys } from "../service/idempotency.ts";
import type { DeliveryOptions } from "../service/webhooks.ts";
import type { StoredEmail } from "./core/email.ts";
import { Journal } from "./core/journal.ts";
import { Ledger } from "./core/ledger.ts";
import type { Bounce, EmailEventType } from "./core/outcomes.ts";
import { PostOffice } from "./core/post-office.ts";
import { Suppressions } from "./core/suppressions.ts";
import { createApp } from "./http/app.ts";
import { domainRoutes, type LocalDomain } from "./http/domain-routes.ts";
import { emailRoutes } from "./http/email-routes.ts";
import type { FaultAction } from "./http/faults.ts";
import { keyRules, type Replay } from "./http/idempotency.ts";
import { listen } from "./http/listener.ts";
import { RateLimit } from "./http/rate-limit.ts";
import { type FetchFile, fetchLocalFile } from "./http/remote-files.ts";
import { suppressionRoutes } from "./http/suppression-routes.ts";
import { webhookRoutes } from "./http/webhook-routes.ts";
import { Mailbox, noPage } from "./mailbox/mailbox.ts";
import { openPage } from "./mailbox/page.ts";
import { ResendWebhooks } from "./webhooks/delivery.ts";
import { WebhookEndpoints } from "./webhooks/endpoints.ts";
import type { LoggedEvent } from "./webhooks/events.ts";
import { keyIn, newSecret } from "./webhooks/signature.ts";

/** Where an inbox listens, what it keeps, whom it tells, and how it behaves. */
export interface InboxOptions {
  /** 0 takes a free one. */
  port: number;
  /** 127.0.0.1 where absent. */
  hostname?: string;
  /** The one API key that is accepted; any `re_…` where absent. */
  apiKey?: string;
  /** Keys with Resend's permission "Sending access": whatever else they ask for is refused. */
  sendingKeys?: string[];
  /** Sender domains that `GET /domains` lists. Tests may change the list. Sending asks for none. */
  domains?: LocalDomain[];
  /** Signs the webhooks that are named here; a new one where absent. */
  webhookSecret?: string;
  /** Endpoints that get every event. */
  webhooks?: { url: string }[];
  /** How webhooks are delivered. */
  delivery?: Partial<DeliveryOptions>;
  /** Keeps emails, idempotency keys and suppressions across restarts; in memory only where absent. */
  stateFile?: string;
  /** The clock of mails, of events and of the 24 hours that an idempotency key lives. */
  now?: () => Date;
  /** Requests a second; 5 where absent, as a Resend team has it at first. Infinity sets no limit. */
  ratePerSecond?: number;
  /** What the rate limit goes by, in milliseconds: real time where absent, since `now` may stand still. */
  elapsed?: () => number;
  /** Fetches attachments that are given by `path`; files of this machine's own servers only where absent. */
  fetchFile?: FetchFile;
  /** False does without the page: quicker to start, for tests that only count. */
  mailbox?: boolean;
  log?: (line: string) => void;
}

/** An inbox that runs, and what a test can do with it. */
export interface Inbox {
  /** The mailbox page. */
  url: string;
  /** For `RESEND_BASE_URL`. */
  apiUrl: string;
  port: number;
  webhookSecret: string;
  /** What was asked and what was sent, in order. */
  ledger: Ledger;
  /** What is to go wrong. */
  faults: Faults<FaultAction>;
  /** How events travel: hold, release, drop, resend. */
  webhooks: ResendWebhooks;
  /** Where events are sent. */
  endpoints: WebhookEndpoints;
  keys: IdempotencyKeys<Replay>;
  suppressions: Suppressions;
  /** The team's domains; may be changed at any time. */
  domains: LocalDomain[];
  /** Every email that was accepted, in order, as `GET /emails/:id` shows it. */
  emails(): GetEmailResponseSuccess[];
  /** The headers and attachments an accepted email asked for, which `GET /emails/:id` does not show. */
  enclosed(emailId: string): Pick<StoredEmail, "headers" | "attachments"> | undefined;
  /** Let something happen to an email: delivered late, bounced after all, complained of. */
  report(emailId: string, type: EmailEventType, bounce?: Bounce): LoggedEvent;
  /** Resolves when every mail is on the page and no event is queued, under way or waiting for its retry. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

const apiPath = "/resend";
const defaultRatePerSecond = 5;

/**
 * Start a Resend of one's own, which sends nothing to anybody: it shows the mails on a page instead.
 *
 * @throws if the port is taken, the webhook secret is none, or the state file is not one of ours
 */
export async function startInbox(options: InboxOptions): Promise<Inbox> {
  const hostname = options.hostname ?? "127.0.0.1";
  const now = options.now ?? (() => new Date());
  const log = options.log ?? (() => {});
  const webhookSecret = options.webhookSecret ?? newSecret();
  const journal = options.stateFile ? new Journal(options.stateFile) : null;
  const state = journal?.open();

  const closing = new AbortController();
  const ledger = new Ledger();
  const faults = new Faults<FaultAction>();
  const keys = new IdempotencyKeys<Replay>(keyRules);
  const urls = (options.webhooks ?? []).map(({ url }) => url);
  // What is no secret is told at the start, and not with the first event.
  keyIn(webhookSecret);
  const endpoints = new WebhookEndpoints(urls, webhookSecret, now, () =>
    journal?.write({ webhooks: endpoints.dump() }),
  );
  const webhooks = new ResendWebhooks(endpoints, options.delivery);
  const suppressions = new Suppressions(() => journal?.write({ suppressions: suppressions.all() }));
  const domains = [...(options.domains ?? [])];
  const mailbox = new Mailbox(options.mailbox === false ? Promise.resolve(noPage) : openPage(), log);
  const office = new PostOffice({
    now,
    ledger,
    suppressions,
    show: (email) => mailbox.show(email),
    announce: (event) => webhooks.send(event),
    onAccepted: (email) => journal?.write({ email }),
    onEvent: ({ shown }) => journal?.write({ id: shown.id, lastEvent: shown.last_event }),
  });
  if (state) {
    keys.restore(state.answers);
    suppressions.restore(state.suppressions);
    endpoints.restore(state.webhooks);
    office.restore(state.emails);
  }

  const app = createApp({
    basePath: apiPath,
    routes: [
      ...emailRoutes(office, options.fetchFile ?? fetchLocalFile),
      ...suppressionRoutes(suppressions, now),
      ...webhookRoutes(endpoints, now),
      ...domainRoutes(domains, now),
    ],
    ledger,
    faults,
    keys,
    limit: new RateLimit(options.ratePerSecond ?? defaultRatePerSecond, options.elapsed),
    now,
    apiKey: options.apiKey ?? null,
    sendingKeys: options.sendingKeys ?? [],
    onKept: (answer) => journal?.write({ answer }),
    closing: closing.signal,
    log,
  });
  const api = getRequestListener(app.fetch);
  const server = await listen({ port: options.port, hostname, apiPath }, api, mailbox).catch(
    async (error) => {
      await mailbox.close();
      throw error;
    },
  );
  const url = originOf(hostname, server.port);

  return {
    url,
    apiUrl: `${url}${apiPath}`,
    port: server.port,
    webhookSecret,
    ledger,
    faults,
    webhooks,
    endpoints,
    keys,
    suppressions,
    domains,
    emails: () => office.all().map((email) => email.shown),
    enclosed: (emailId) => office.get(emailId),
    report: (emailId, type, bounce) => office.report(emailId, type, bounce),
    async settled() {
      await webhooks.drained();
      await mailbox.settled();
    },
    async close() {
      closing.abort();
      await server.close();
      await webhooks.close();
      await mailbox.close();
    },
  };
}
