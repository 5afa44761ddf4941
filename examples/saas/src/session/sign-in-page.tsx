import { type FormEvent, useState } from "react";
import { Page } from "../parts/page.tsx";
import { Failure } from "../parts/states.tsx";
import { supabase } from "../supabase.ts";
import { useWords } from "../words/words.tsx";

export function SignInPage() {
  const { words } = useWords();
  const [isNew, setIsNew] = useState(false);
  const [problem, setProblem] = useState<string>();
  const [isSent, setIsSent] = useState(false);
  const [isBusy, setIsBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const credentials = { email: String(form.get("email")), password: String(form.get("password")) };
    setIsBusy(true);
    const { data, error } = isNew
      ? await supabase.auth.signUp(credentials)
      : await supabase.auth.signInWithPassword(credentials);
    setIsBusy(false);
    // A project that confirms addresses signs nobody in before.
    const isUnconfirmed = error?.code === "email_not_confirmed";
    setIsSent(isUnconfirmed || (error === null && data.session === null));
    if (error === null || isUnconfirmed) setProblem(undefined);
    else if (error.status === undefined || error.status >= 500) setProblem(words.signIn.unreachable);
    else setProblem(isNew ? words.signIn.failed : words.signIn.refused);
  }

  return (
    <Page title={isNew ? words.signIn.signUpTitle : words.signIn.title}>
      <form className="card narrow" onSubmit={submit}>
        {problem && <Failure text={problem} />}
        {isSent && (
          <p className="notice" role="status">
            {words.signIn.confirm}
          </p>
        )}
        <label>
          {words.signIn.email}
          <input name="email" type="email" autoComplete="email" required />
        </label>
        <label>
          {words.signIn.password}
          <input
            name="password"
            type="password"
            autoComplete={isNew ? "new-password" : "current-password"}
            minLength={6}
            required
          />
        </label>
        <button type="submit" className="primary" disabled={isBusy}>
          {isNew ? words.signIn.signUp : words.signIn.submit}
        </button>
        <button type="button" className="link" onClick={() => setIsNew(!isNew)}>
          {isNew ? words.signIn.toSignIn : words.signIn.toSignUp}
        </button>
      </form>
    </Page>
  );
}
