/** What an object is made of: all of it may be given, and these fields must be. */
export type Values<T, Required extends keyof T> = Partial<T> & Pick<T, Required>;
