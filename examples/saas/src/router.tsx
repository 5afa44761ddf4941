import { type MouseEvent, type ReactNode, useEffect, useState } from "react";

const MOVED = "example:moved";

let hasMoved = false;

/** Whether the page that is shown was gone to within the application; true once a move. */
export function takeMove(): boolean {
  const moved = hasMoved;
  hasMoved = false;
  return moved;
}

/** Goes to a path of the application without loading the page anew. */
export function go(path: string): void {
  hasMoved = true;
  history.pushState(null, "", path);
  window.dispatchEvent(new Event(MOVED));
  window.scrollTo(0, 0);
}

/** Where the browser is. */
export function useLocation(): { path: string; query: URLSearchParams } {
  const [href, setHref] = useState(location.href);
  useEffect(() => {
    const moved = () => setHref(location.href);
    window.addEventListener("popstate", moved);
    window.addEventListener(MOVED, moved);
    return () => {
      window.removeEventListener("popstate", moved);
      window.removeEventListener(MOVED, moved);
    };
  }, []);
  const { pathname, searchParams } = new URL(href);
  return { path: pathname, query: searchParams };
}

interface LinkProps {
  to: string;
  children: ReactNode;
  className?: string;
  isCurrent?: boolean;
}

/** A link within the application. */
export function Link({ to, children, className, isCurrent }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={to} className={className} aria-current={isCurrent ? "page" : undefined} onClick={follow}>
      {children}
    </a>
  );
}
