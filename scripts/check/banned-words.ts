/** A word that this project does not use, as it says the same thing by another. `docs/glossary.md` has the terms. */
export interface BannedWord {
  /** Matches each use of it, in prose and within names. */
  pattern: RegExp;
  /** What to say instead. */
  say: string;
  /** Longer texts in which it stays: names of others, public data, another meaning. */
  allowed?: RegExp;
  /** Paths in which it is banned, where it is not banned everywhere. */
  within?: RegExp;
  /** Whether file names alone are held to it. */
  isOfFileNames?: boolean;
}

/** One use of a banned word. */
export interface Finding {
  /** Path from the root of the project, with forward slashes. */
  path: string;
  /** From 1; 0: in the path itself. */
  line: number;
  word: string;
  say: string;
}

const DUNNING = /(^|\/)(\d*_?dunning|duebase-dunning)(\/|\.)/;
const OWNERS = /owner|users_come|support\/histories/;
const SIMULATIONS = /support\/(histories|dunning-simulation|simulation)|simulation[^/]*\.test\.ts$/;

/** Each banned word, with what to say and where it may stay. */
export const BANNED_WORDS: readonly BannedWord[] = [
  {
    pattern: /\w*settl(e|ing)\w*/gi,
    say: "the verb for what happens: close, link, match, pay, finish, decide",
    // The outcome is public data; settled() of the local Stripe and the inbox waits like the promises it is named for.
    allowed:
      /settled_without_payment|settledWithoutPayment|settled-without-payment|allSettled|[.#`]settled\(|\basync settled\(\)|^ *settled\(\): Promise|\bEverything is settled\b|\\bsettle\/i|paid, and not settled/g,
  },
  {
    pattern:
      /claims?_(of_|user|owner|customer)|(customer|owner|user)_claim|claim(s|ed)?(User|Owner|Customer)/g,
    say: "owner hint; a claim is a worker's, on rows of the outbox",
  },
  {
    pattern: /claim/gi,
    within: OWNERS,
    say: "owner hint; a claim is a worker's, on rows of the outbox",
    allowed: /jwt\.claims?|status (=|in|<>) .*'claimed'/g,
  },
  {
    pattern: /\bowes?[A-Z_]\w*|(?<=\.)owes?\b|\bowes?(?=\((?!or\b))/g,
    say: "enqueue, in names; owe is for money",
  },
  {
    pattern: /\b(bury|buries|buried|mourn\w*)\b/gi,
    say: "tombstone (an object), dead-letter alert (an effect)",
  },
  { pattern: /unheard/gi, say: "without event" },
  {
    pattern: /\bpass(es|ed|ing)? over\b/gi,
    say: "skip, skipped",
    allowed: /\b(a|the|each|every|this|one) pass over\b|\bpasses over (what|stored|rows)\b/g,
  },
  { pattern: /\bcoalesc(ed|es|ing)\b|\bcoalesce\b(?!\()/gi, say: "skip, skipped; merge" },
  { pattern: /(?<![a-z])([Tt]wins?|TWINS?)(?![a-z])/g, say: "duplicate subscriptions" },
  {
    pattern: /(?<![A-Za-z])([Ll]aws?|LAWS?|[Ww]eather|[Ff]ates?)(?![a-z])/g,
    say: "invariants, faults, outcomes",
  },
  { pattern: /\bmoves\b(?=[ ]?[=:([,])|-moves\b|\bMoves?\b/g, within: SIMULATIONS, say: "actions" },
  {
    pattern:
      /\b(a|an|the|each|every|this|that|last|next|another) looks?\b|\blooked (at|through)\b|\blooked?_/gi,
    within: DUNNING,
    say: "evaluation, evaluate",
  },
  {
    pattern:
      /\b(accept_event|ask_stripe\w*|take_back|take_batch_apart|watch_dunning\w*|weigh_dispute|call_off_\w+)\b/g,
    say: "the name it has now: apply_if_newest, enqueue_refresh, record_refund_or_dispute, split_batch, update_…, cancel_…",
  },
  { pattern: /\bcall(s|ed|ing)? off\b/gi, say: "cancel" },
  { pattern: /\bvery (second|moment)s?\b/gi, say: "the same second, at the same time" },
  { pattern: /\bfor want of\b/gi, say: "without, as there is no" },
  {
    pattern: /\b(utils?|helpers?|commons?|managers?|misc)\b/gi,
    isOfFileNames: true,
    say: "the name of what is in it",
    // Stripe's test_helpers.
    allowed: /test-helpers/g,
  },
];

/**
 * Finds the banned words in a file's path and text.
 *
 * @param path from the root of the project, with forward slashes
 */
export function findBannedWords(path: string, text: string, words = BANNED_WORDS): Finding[] {
  const lines = [path, ...text.split("\n")];
  return words
    .filter(({ within }) => within === undefined || within.test(path))
    .flatMap(({ pattern, say, allowed, isOfFileNames }) =>
      (isOfFileNames ? [path] : lines).flatMap((content, line) =>
        usesOf(content, pattern, allowed).map((word) => ({ path, line, word, say })),
      ),
    )
    .sort((one, other) => one.line - other.line);
}

function usesOf(content: string, pattern: RegExp, allowed: RegExp | undefined): string[] {
  const spans = allowed === undefined ? [] : [...content.matchAll(allowed)].map(spanOf);
  return [...content.matchAll(pattern)]
    .filter((match) => {
      const [start, end] = spanOf(match);
      return !spans.some(([from, to]) => from <= start && end <= to);
    })
    .map(([word]) => word);
}

function spanOf(match: RegExpExecArray): [number, number] {
  return [match.index, match.index + match[0].length];
}
