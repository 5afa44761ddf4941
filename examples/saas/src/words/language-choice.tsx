import { useWords } from "./words.tsx";

export function LanguageChoice() {
  const { words, language, choose } = useWords();
  return (
    <label className="language">
      {words.language}
      <select value={language} onChange={(event) => choose(event.target.value)}>
        <option value="en">English</option>
        <option value="de">Deutsch</option>
      </select>
    </label>
  );
}
