"""calotype: pictures and long video from prompts. Importing it loads nothing heavy: public names arrive when they are first used."""
