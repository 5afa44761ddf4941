import type { DoctorContext } from "./context.ts";

/** green: right. amber: it may be right, or can wait. red: something does not work, or will do harm. */
export type Light = "green" | "amber" | "red";

/** One thing that a check found. */
export interface Finding {
  light: Light;
  /** What is right, or what is not: one sentence without a full stop, and without secrets. */
  says: string;
  /** How to mend it; undefined where nothing is to be done. */
  cure?: string;
}

/** One question that doctor, go-live and health ask about a project. */
export interface Check {
  /** Unique, and stable: programs read it. */
  name: string;
  /** What is looked at, for people; at most 22 characters. */
  title: string;
  /** Milliseconds it may take. Default 15,000. */
  timeout?: number;
  /**
   * Looks, and says everything it found. What it throws is red; a question that cannot be asked, as something else is
   * missing, is what it answers and not what it throws.
   */
  look(context: DoctorContext): Promise<Finding[]>;
}

export const right = (says: string): Finding => ({ light: "green", says });
export const mayBeWrong = (says: string, cure?: string): Finding => ({ light: "amber", says, cure });
export const wrong = (says: string, cure: string): Finding => ({ light: "red", says, cure });

/** The findings, or that all is right where there are none. */
export const orRight = (findings: Finding[], says: string): Finding[] =>
  findings.length > 0 ? findings : [right(says)];
