/** Something of the team's that is where ours would go. */
export interface Obstacle {
  /** What is in the way, and where. */
  what: string;
  /** What to do about it. */
  cure: string;
}

/** The oldest PostgreSQL that the migrations are tried on. */
export const OLDEST_POSTGRES = 15;
