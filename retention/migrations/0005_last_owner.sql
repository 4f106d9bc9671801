-- An account that is open, or closed and not due yet, keeps an active owner: nobody else could cancel its deletion.

CREATE FUNCTION public.guard_last_owner() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    concerned uuid[];
    bereft uuid;
BEGIN
    -- Who was an active owner and is none now. The usual write, the time of a sign-in, ends here and locks nothing.
    concerned := ARRAY(
        SELECT DISTINCT w.account_id FROM was w
          LEFT JOIN public.accounts_user u ON u.id = w.id AND u.is_owner AND u.is_active
         WHERE w.is_owner AND w.is_active AND w.account_id IS NOT NULL AND u.id IS NULL);
    IF cardinality(concerned) = 0 THEN
        RETURN NULL;
    END IF;
    -- Two who make each other leave at once wait here for each other: the second one sees what the first one did.
    PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id FOR UPDATE;
    SELECT a.id INTO bereft FROM public.accounts_account a
     WHERE a.id = ANY(concerned)
       AND (a.state = 'active' OR (a.state = 'closed' AND a.due_at > clock_timestamp()))
       AND NOT EXISTS (SELECT 1 FROM public.accounts_user u
                        WHERE u.account_id = a.id AND u.is_owner AND u.is_active)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % keeps an owner', bereft USING ERRCODE = 'PH003';
    END IF;
    RETURN NULL;
END $guard$;

CREATE TRIGGER z_guard_last_owner AFTER UPDATE ON public.accounts_user REFERENCING OLD TABLE AS was
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_last_owner();
ALTER TABLE public.accounts_user ENABLE ALWAYS TRIGGER z_guard_last_owner;
CREATE TRIGGER z_guard_last_owner_gone AFTER DELETE ON public.accounts_user REFERENCING OLD TABLE AS was
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_last_owner();
ALTER TABLE public.accounts_user ENABLE ALWAYS TRIGGER z_guard_last_owner_gone;
