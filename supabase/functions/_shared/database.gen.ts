// Temporary, until `npm run types` writes this file from the migrated database.

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  billing: {
    Tables: { [_ in never]: never };
    Views: { [_ in never]: never };
    Functions: {
      receive_event: { Args: { event: Json; p_now?: string }; Returns: string };
      replay_failed_webhook: { Args: { event_id: string }; Returns: string };
    };
    Enums: { [_ in never]: never };
    CompositeTypes: { [_ in never]: never };
  };
};
