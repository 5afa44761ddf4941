/** One thing that must hold, and what was found. */
export interface Check {
  promise: string;
  expected: string;
  found: string;
}

/** A check of two values, each as text. */
export function check(promise: string, expected: unknown, found: unknown): Check {
  return { promise, expected: String(expected), found: String(found) };
}

/** Whether it holds. */
export function holds({ expected, found }: Check): boolean {
  return expected === found;
}
