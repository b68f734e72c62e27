"""What a person sees: tables and charts as text, HTML and widgets."""
