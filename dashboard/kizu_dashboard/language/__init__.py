"""The languages of the pages: English in the code, each other one in a catalogue beside these modules."""
